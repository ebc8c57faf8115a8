package conformance

// Only makes a run of the checks whose names begin so.
func (o Options) Only(check string) Options {
	o.only = check
	return o
}

// By makes a run that tells the time and waits by a clock.
func (o Options) By(c clock) Options {
	o.clock = c
	return o
}
