// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Verify lets kustomize build the staged midstream and compares the Pods of the base with what was decided
// about them. What the user adds or renames in the midstream is the user's.
func (p *Plan) Verify(ctx context.Context, s *Stage) error {
	objects, err := s.Build(ctx, p.Dir)
	if err != nil {
		return err
	}
	p.built = objects
	pods, err := CollectPods(objects)
	if err != nil {
		return fmt.Errorf("midstream %s: %w", p.Dir, err)
	}
	var wrong []error
	for _, before := range p.Base.Pods {
		after := slices.IndexFunc(pods, func(pod Pod) bool {
			return pod.id() == before.id() && slices.Equal(pod.Spec, before.Spec)
		})
		if after >= 0 {
			wrong = append(wrong, p.compare(before, pods[after]))
		}
	}
	return errors.Join(append(wrong, p.verifyFields(objects), p.verifyPolicy(objects))...)
}

func (p *Plan) compare(before, after Pod) error {
	renamed := p.renamed()
	wantsSecret := false
	for _, written := range after.Images {
		image, err := ParseImage(written)
		if err != nil {
			continue // what container runtimes take is the findings' business
		}
		wantsSecret = wantsSecret || p.licensed(image)
		if renamed[image.Repository] {
			return fmt.Errorf("%s: kustomize does not rename %s", after, written)
		}
	}
	for _, name := range before.PullSecrets {
		if !slices.Contains(after.PullSecrets, name) {
			return fmt.Errorf("%s: kustomize drops the pull Secret %s, because it does not know %s", after, name,
				after.APIVersion)
		}
	}
	if wantsSecret {
		if left := missing(p.pullSecrets(before), after.PullSecrets); len(left) > 0 {
			return fmt.Errorf("%s: kustomize does not add the pull Secret %s", after, left[0])
		}
	}
	return nil
}

// Warnings say what the user has to know or do. They are sentences.
func (p *Plan) Warnings() []string {
	var all []string
	warn := func(format string, values ...any) { all = append(all, fmt.Sprintf(format, values...)) }
	renamed := p.renamed()
	hosts := map[string]bool{}
	for _, image := range p.Base.Images {
		if proxied := p.Proxy.Name(image.Name); renamed[image.Repository] && !p.Proxy.Usable(proxied) && !hosts[image.Host] {
			hosts[image.Host] = true
			warn("container runtimes refuse %s, because of the port: give the registry an alias on the proxy, and say --alias %s=ALIAS",
				proxied, image.Host)
		}
	}
	for _, not := range p.Base.NotImages {
		warn("%s: %q is no image, and stays as it is", not.Owner, not.Written)
	}
	all = append(all, p.doubts()...)
	if p.Base.Application.Everywhere {
		warn(`the Application may use namespaces that do not exist yet ("*"): only a controller can put the pull Secret there when they are made`)
	}
	if stale := p.stalePolicy(); stale != "" {
		warn("where it was applied, the policy %s stays in force until it is deleted: kubectl delete "+
			"mutatingadmissionpolicy,mutatingadmissionpolicybinding %s", stale, stale)
	}
	all = append(all, p.fieldWarnings()...)
	if len(p.needSecret()) == 0 && len(p.Base.Strangers) == 0 && !p.renamesFields() {
		warn("no image of the base goes through the proxy: nothing uses the pull Secret, and there is no need to apply it")
	}
	for _, stranger := range p.Base.Strangers {
		for _, written := range stranger.Images {
			image, err := ParseImage(written)
			if err == nil && (renamed[image.Repository] || p.licensed(image)) {
				warn("%s uses %s: its pull Secret is for you to add, rewrite does not know the kind", stranger, written)
			}
		}
	}
	for _, object := range p.Base.Installer {
		all = append(all, object.warning())
	}
	for _, file := range p.Base.LeftOut {
		warn("%s has no Kubernetes objects and is left out", file)
	}
	return all
}
