//! What must be true of the tree itself.
