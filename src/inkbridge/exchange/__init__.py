"""Packs in the forms of other frameworks, and back."""
