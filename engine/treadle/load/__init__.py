"""From a file to a checked spec, with every problem at once."""

from treadle.load.files import LoadedFile, load_file, load_files, pipeline_files
from treadle.load.pipeline import Loaded, load_pipeline

__all__ = ["Loaded", "LoadedFile", "load_file", "load_files", "load_pipeline", "pipeline_files"]
