"""One public function = one permission check and one transaction; actor and clock are passed in."""
