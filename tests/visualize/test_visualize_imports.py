"""The room stands alone: NumPy arrays in, pictures out."""

import subprocess
import sys


def test_importing_visualize_loads_neither_keras_nor_tensorflow_nor_pyplot_nor_another_room():
    program = (
        "import sys; from keras_vae.visualize import *; "
        "rooms = {name.split('.')[1] for name in sys.modules if name.startswith('keras_vae.')}; "
        "heavy = {'keras', 'tensorflow', 'matplotlib.pyplot'} & sys.modules.keys(); "
        "print(sorted(rooms), sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['errors', 'files', 'lazy', 'visualize'] []"
