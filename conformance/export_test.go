package conformance

// Only restricts a run to checks whose names have a prefix.
func (o Options) Only(check string) Options {
	o.only = check
	return o
}

// By sets the clock of a run.
func (o Options) By(c clock) Options {
	o.clock = c
	return o
}
