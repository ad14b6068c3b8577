"""Evaluation: a suite of questions, asked of any OpenAI-compatible endpoint, scored and reported."""
