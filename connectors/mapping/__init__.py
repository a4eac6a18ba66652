"""A record of something else (a row, a JSON object, a resource) made into an event by a declared mapping.

```python
mapping = EventMapping.model_validate(yaml.safe_load(text))              # declared.py: what people write
mapper = Mapper(mapping, (await registry.event_type(mapping.event_type)).codec)  # BadMapping: all that does not fit
mapped = mapper.event(record)   # Mapped: data, id, subject, time, key; None: `when` says it is not meant
                                # Unmappable: every problem of the record, with field, column and rule
```
A record is a mapping of names to texts, numbers, dates, lists or further mappings. Nothing here does I/O, and no
problem holds a value.
"""

from connectors.mapping.declared import EventMapping, Origin
from connectors.mapping.mapper import BadMapping, Mapped, Mapper
from connectors.mapping.problems import FieldProblem, Unmappable

__all__ = ["BadMapping", "EventMapping", "FieldProblem", "Mapped", "Mapper", "Origin", "Unmappable"]
