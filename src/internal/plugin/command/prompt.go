// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// addYes defines --yes for a command that asks before it changes something.
func addYes(cmd *cobra.Command, yes *bool) {
	cmd.Flags().BoolVarP(yes, "yes", "y", false, "do not ask before the change")
}

// consent asks on the terminal, unless the user said --yes. It fails where nobody can answer.
func (a *app) consent(yes bool, question string) error {
	if yes {
		return nil
	}
	fmt.Fprintf(a.errOut, "%s [y/N] ", question)
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	if err != nil {
		a.say("")
		return errors.New("nobody answered; say --yes to go on without asking")
	}
	a.say("Nothing was changed.")
	return silent{}
}
