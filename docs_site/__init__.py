"""The documentation as one static site: the same Markdown, two generated references, one builder. No part of the product."""
