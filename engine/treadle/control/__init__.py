"""The controller: what the deciders of the loop decide is written down and then done, here and nowhere else."""
