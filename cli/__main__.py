"""``python -m keras_vae_cli``: the command ``keras-vae``."""

from .main import main

main()
