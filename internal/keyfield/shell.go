package keyfield

import (
	"strings"

	"apikeyd/client"
)

// Quoted returns a text as one word of the shell.
func Quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// NarrowCommand returns the command that makes the change a review proposes.
func NarrowCommand(id string, proposal client.Change) string {
	command := "apikeyd keys update " + id
	if proposal.Scopes != nil {
		command += " --scope " + Quoted(strings.Join(*proposal.Scopes, " ")) // scopes may hold commas, never spaces
	}
	if proposal.AllowedCIDRs != nil {
		command += " --allowed-cidr " + Quoted(strings.Join(*proposal.AllowedCIDRs, ","))
	}
	return command
}
