"""What a line knows of its own time: scan classes, wire times, load, punctuality."""
