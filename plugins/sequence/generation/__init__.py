"""Generation, scoring and completion of sequences, by whatever net predicts the next token."""
