"""People: who is underground, counted so that the truth lies between lo and hi."""
