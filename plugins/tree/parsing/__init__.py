"""Finding the tree: search over binary trees, right trees, and brackets as evalb counts them."""
