"""The event log on Apache Kafka."""

from homeostat.adapters.kafka_log.lanes import KafkaLanes, lane_of
from homeostat.adapters.kafka_log.log import KafkaLog

__all__ = ["KafkaLanes", "KafkaLog", "lane_of"]
