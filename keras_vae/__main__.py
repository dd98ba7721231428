"""``python -m keras_vae``: the command ``keras-vae``."""

from keras_vae_cli.main import main

main()
