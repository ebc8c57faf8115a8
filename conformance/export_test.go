package conformance

import "strings"

// OnlyAbout restricts a run to checks whose descriptions have a prefix.
func (o Options) OnlyAbout(prefix string) Options {
	for _, c := range checks() {
		if strings.HasPrefix(c.about, prefix) {
			o.Only = append(o.Only, c.fullName())
		}
	}
	return o
}

// By sets the clock of a run.
func (o Options) By(c clock) Options {
	o.clock = c
	return o
}
