"""Files that contradict themselves, made from sound ones, and what is right for each of them."""
