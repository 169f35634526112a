"""What tests share: the reference model of the rules. Never imported by the product."""
