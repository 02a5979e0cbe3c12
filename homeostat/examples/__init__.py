"""Real streams that come with Homeostat."""
