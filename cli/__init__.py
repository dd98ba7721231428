"""The command ``keras-vae``: one module per subcommand."""
