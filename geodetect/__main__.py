"""`python -m geodetect`."""

from geodetect.cli.main import main

if __name__ == "__main__":
    main()
