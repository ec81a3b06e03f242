// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"bytes"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// RevokedAtAnnotation says since when a license is revoked (RFC 3339).
const RevokedAtAnnotation = Group + "/revoked-at"

// The types of conditions.
const (
	// Valid says whether an object could be used.
	Valid = "Valid"
	// Revoked says whether a license is revoked, and since when.
	Revoked = "Revoked"
	// CredentialAccepted says whether a registry takes its credential.
	CredentialAccepted = "CredentialAccepted"
)

// Object is a [*License] or an [*ExternalRegistry].
//
// +kubebuilder:object:generate=false
type Object interface {
	metav1.Object
	runtime.Object
	// Validate reports everything that keeps the object from being used, each a [*defect.Error] with the key,
	// as far as the object alone shows it.
	Validate(Where) error
	// written is a copy with what an author writes: no status, and nothing that the API server adds.
	written() Object
}

// Where is where an object is used. Some of what an object may say has a meaning only there.
type Where int

// The places where an object is used.
const (
	InCluster Where = iota
	InDirectory
)

// Marshal writes objects as their author would, one YAML document each: without a status and without what the
// API server adds.
func Marshal(objects ...Object) ([]byte, error) {
	var all bytes.Buffer
	for i, object := range objects {
		text, err := yaml.Marshal(object.written())
		if err != nil {
			return nil, fmt.Errorf("write %s as YAML: %w", object.GetName(), err)
		}
		if i > 0 {
			all.WriteString("---\n")
		}
		all.Write(text)
	}
	return all.Bytes(), nil
}

func (l *License) written() Object {
	return &License{TypeMeta: typeMeta(LicenseKind), ObjectMeta: writtenMeta(l.ObjectMeta), Spec: l.Spec}
}

func (r *ExternalRegistry) written() Object {
	return &ExternalRegistry{TypeMeta: typeMeta(RegistryKind), ObjectMeta: writtenMeta(r.ObjectMeta), Spec: r.Spec}
}

func typeMeta(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: APIVersion, Kind: kind}
}

func writtenMeta(meta metav1.ObjectMeta) metav1.ObjectMeta {
	const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"
	annotations := meta.DeepCopy().Annotations
	delete(annotations, lastApplied)
	return metav1.ObjectMeta{Name: meta.Name, Namespace: meta.Namespace, Labels: meta.Labels, Annotations: annotations}
}
