"""`python -m freehold` is the command line."""

from freehold.cli.main import main

if __name__ == "__main__":
    main()
