package console

// Patterns are those of all routes.
func Patterns() []string { return (&site{}).routes().patterns }
