"""The studio: two folders of pictures in, a trained generator out. Needs the extra [train]."""
