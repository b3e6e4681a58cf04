"""`genir prompts compose | write | screen | dedupe | stats`: make a prompt file, thin it out, look at it."""
