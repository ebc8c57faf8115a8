package console

// Patterns returns the patterns of all routes.
func Patterns() []string { return (&site{}).routes().patterns }
