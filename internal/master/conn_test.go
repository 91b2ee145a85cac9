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
		fill(f.ProtoReflect(), field)
		beside := field.Name() == "logs" || field.Name() == "blobs"
		if forCore(f) == beside {
			t.Errorf("a frame with %s (%d bytes): for the core %t", field.Name(), proto.Size(f), !beside)
		}
	}
}

// fill gives a field of a message some value.
func fill(m protoreflect.Message, field protoreflect.FieldDescriptor) {
	switch {
	case field.IsList():
		list := m.Mutable(field).List()
		list.Append(list.NewElement())
	case field.Message() != nil:
		m.Set(field, m.NewField(field))
	case field.Kind() == protoreflect.BoolKind:
		m.Set(field, protoreflect.ValueOfBool(true))
	case field.Kind() == protoreflect.Int32Kind:
		m.Set(field, protoreflect.ValueOfInt32(1))
	default:
		m.Set(field, protoreflect.ValueOfInt64(1))
	}
}

// A frame that waits for the wire takes up all parts of the next.
func TestNothingOfAFrameIsLost(t *testing.T) {
	t.Parallel()
	fields := (&rpc.FromMaster{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if field.Name() == "outage" {
			continue // it goes with heard
		}
		st := newStream(1, nil)
		st.push(&rpc.FromMaster{})
		f := &rpc.FromMaster{}
		fill(f.ProtoReflect(), field)
		st.push(f)
		if got, _ := st.pop(); !got.ProtoReflect().Has(field) {
			t.Errorf("%s is lost", field.Name())
		}
	}
}
