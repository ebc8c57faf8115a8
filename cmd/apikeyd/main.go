// Command apikeyd issues, lists, changes, rotates, revokes and verifies API keys over HTTP.
package main

import "apikeyd/internal/cli"

func main() { cli.Main() }
