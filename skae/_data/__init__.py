"""What X is: rows, the form that they had, and the one way in."""
