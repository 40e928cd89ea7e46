"""What style transfer is used for; each use composes the rest of the package and adds no machinery."""
