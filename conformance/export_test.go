package conformance

// Only makes a run of the checks whose names begin so.
func (o Options) Only(check string) Options {
	o.only = check
	return o
}
