"""The documentation as a static site: the repository's Markdown, two generated references. No part of the product."""
