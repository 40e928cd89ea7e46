"""python -m inkbridge"""

from inkbridge.cli import main

main()
