"""The processes of a running instance, and who starts and watches them."""
