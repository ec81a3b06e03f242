// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// orderVariable names the environment variable that makes the test binary a process of attackers.
const orderVariable = "LSP_ATTACK"

// order is an attack as such a process is told it.
type order struct {
	Attack string
	Target target
}

// start starts the attack in a process of its own, which has what is left of the machine: the honest client and
// the registries have it first. The function that it returns ends the attack.
func (a *attack) start(t testing.TB, target target) func() {
	t.Helper()
	told, err := json.Marshal(order{Attack: a.name, Target: target})
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nice", "-n", "19", program)
	cmd.Env = append(os.Environ(), orderVariable+"="+string(told))
	process := harness.StartProcess(t, "the attackers", cmd)
	return func() { process.Kill(t) }
}

// obey carries out an order, until the process is killed.
func obey(ctx context.Context, told string) error {
	var order order
	if err := json.Unmarshal([]byte(told), &order); err != nil {
		return fmt.Errorf("read the order of an attack: %w", err)
	}
	for _, attack := range every() {
		if attack.name == order.Attack && attack.side == order.Target.Side {
			attack.launch(ctx, order.Target)
			return nil
		}
	}
	return errors.New("no attack is called " + order.Attack)
}

// every attack, on the side that it is meant for.
func every() []attack {
	all := append(imagesAttacks(), sourceAttacks()...)
	for _, side := range []side{images, source} {
		for _, attack := range bothAttacks() {
			attack.side = side
			all = append(all, attack)
		}
	}
	return all
}
