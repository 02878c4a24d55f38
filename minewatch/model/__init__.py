"""The nouns of the house: frozen, slotted, standard library only; units stand in the names."""
