"""PipelineSpec → Plan: steps bound to code, references resolved, parameters filled in."""
