"""Jobs a person or the scheduler runs to an end; `homeostat demo` is the first of them."""
