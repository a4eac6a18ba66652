from lintas.cli.main import main

__all__ = ["main"]
