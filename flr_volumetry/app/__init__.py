"""Case files, the main job, and the command line."""
