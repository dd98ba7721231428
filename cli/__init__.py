"""The command ``keras-vae``: one module a subcommand."""
