package master

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"baton/internal/rpc"
)

// Whatever a worker says reaches the reactor, but for logs and blobs: a part that is added to the
// wire and forgotten here would be said to nobody.
func TestEveryPartReachesTheCore(t *testing.T) {
	t.Parallel()
	fields := (&rpc.FromWorker{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		f := &rpc.FromWorker{}
		m := f.ProtoReflect()
		if field.IsList() {
			list := m.Mutable(field).List()
			list.Append(list.NewElement())
		} else {
			m.Set(field, protoreflect.ValueOfMessage(m.NewField(field).Message()))
		}
		beside := field.Name() == "logs" || field.Name() == "blobs"
		if forCore(f) == beside {
			t.Errorf("a frame with %s (%d bytes): for the core %t", field.Name(), proto.Size(f), !beside)
		}
	}
}
