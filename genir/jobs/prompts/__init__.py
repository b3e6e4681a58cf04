"""`genir prompts compose | screen | dedupe | stats`: make a prompt file, thin it out, look at it."""
