"""A node of the hospital's network: receives studies, runs the recipe that fits, sends the results back."""
