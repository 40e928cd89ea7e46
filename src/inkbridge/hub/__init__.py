"""Packs of others: lists of them, how they come here, and how one's own go there."""
