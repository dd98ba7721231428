"""What diffusers and PyTorch make of a model, in a process of its own: PyTorch can crash in one of TensorFlow.

python diffusers_reference.py make FOLDER        writes a random model and its numbers for each configuration
python diffusers_reference.py measure FOLDER     writes the numbers of the model that is in the folder

The numbers are in numbers.npz: ``images`` (N, H, W, C) in [0, 1], ``mean``, ``log_var`` and ``decoded`` (of the mean),
channels last, and for each tensor the gradient of `loss` as ``gradient NAME``.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

CONFIGURATIONS = {
    "sd15": {"block_out_channels": (32, 64, 64), "layers_per_block": 2, "norm_num_groups": 32, "sample_size": 32},
    "sd3": {
        "block_out_channels": (16, 32),
        "layers_per_block": 2,
        "norm_num_groups": 8,
        "latent_channels": 16,
        "use_quant_conv": False,
        "use_post_quant_conv": False,
        "scaling_factor": 1.5305,
        "shift_factor": 0.0609,
        "force_upcast": False,
        "sample_size": 16,
    },
    "no_attention": {
        "block_out_channels": (8, 16),
        "norm_num_groups": 4,
        "mid_block_add_attention": False,
        "use_post_quant_conv": False,
        "sample_size": 16,
    },
    "odd": {"block_out_channels": (8, 16, 16), "norm_num_groups": 4, "sample_size": 32, "images": (37, 29)},
}


def loss(images, mean, log_var, decoded):
    """A number that every weight moves."""
    height, width = decoded.shape[1:3]
    error = decoded - images[:, :height, :width]
    return (error**2).sum() + (mean**2).sum() + 0.1 * log_var.sum()


def random_model(name):
    """A model of that configuration, each of whose weights shows, and log-variances beyond both bounds."""
    options = {key: value for key, value in CONFIGURATIONS[name].items() if key != "images"}
    levels = len(options["block_out_channels"])
    torch.manual_seed(0)
    model = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * levels, up_block_types=["UpDecoderBlock2D"] * levels, **options
    )
    last = model.quant_conv or model.encoder.conv_out
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
        last.bias[-1], last.bias[-2] = 40.0, -50.0
    return model


def channels_last(tensor):
    return tensor.permute(0, 2, 3, 1)


def numbers_of(model, images):
    posterior = model.encode(2 * images.permute(0, 3, 1, 2) - 1).latent_dist
    decoded = channels_last(model.decode(posterior.mean).sample) / 2 + 0.5
    found = {"mean": channels_last(posterior.mean), "log_var": channels_last(posterior.logvar), "decoded": decoded}
    loss(images, **found).backward()
    gradients = {f"gradient {name}": parameter.grad for name, parameter in model.named_parameters()}
    return {name: tensor.detach().numpy() for name, tensor in {"images": images, **found, **gradients}.items()}


def make(folder):
    for name, options in CONFIGURATIONS.items():
        model = random_model(name)
        height, width = options.get("images", (options["sample_size"],) * 2)
        images = torch.from_numpy(np.random.default_rng(1).random((2, height, width, 3), "float32"))
        model.save_pretrained(folder / name)
        np.savez(folder / name / "numbers.npz", **numbers_of(model, images))
        if name == "sd15":
            model.save_pretrained(folder / "shards", max_shard_size="500KB")
            model.to(torch.float16).save_pretrained(folder / "fp16", variant="fp16")
            random_model(name).to(torch.bfloat16).save_pretrained(folder / "bfloat16")


def measure(folder):
    model = AutoencoderKL.from_pretrained(folder)
    images = np.load(folder / "images.npy")
    np.savez(folder / "numbers.npz", **numbers_of(model, torch.from_numpy(images)))


if __name__ == "__main__":
    {"make": make, "measure": measure}[sys.argv[1]](Path(sys.argv[2]))
