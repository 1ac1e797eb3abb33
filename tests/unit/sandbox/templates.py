"""Templates that several tests of the sandbox use."""

from __future__ import annotations

STACK = """\
# the text comes back to the last byte
Parameters:
  Days: {Type: Number, Default: 7}
  Secret: {Type: String, NoEcho: true, Default: hush}
Resources:
  Metadata:
    Type: AWS::SSM::Parameter
    Properties: {Name: /baseline/metadata, Type: String, Value: !Sub "keep ${Days}"}
  Log:
    Type: AWS::Logs::LogGroup
    Properties: {LogGroupName: /baseline/log, RetentionInDays: !Ref Days}
Outputs:
  Where: {Value: !GetAtt Log.Arn, Export: {Name: log}}
"""
QUEUE = """\
  Queue:
    Type: AWS::SQS::Queue
    DependsOn: [Log, Metadata]
    Properties: {QueueName: audit}
"""
STACK_WITH_QUEUE = STACK.replace("Outputs:", QUEUE + "Outputs:")

CHANGING = """
Parameters:
  Days: {Type: Number, Default: 7}
  Extra: {Type: String, Default: "no", AllowedValues: ["yes", "no"]}
Conditions:
  HasExtra: !Equals [!Ref Extra, "yes"]
Resources:
  Metadata:
    Type: AWS::SSM::Parameter
    Properties: {Name: /baseline/metadata, Type: String, Value: !Sub "keep ${Days}"}
  Log:
    Type: AWS::Logs::LogGroup
    Properties: {LogGroupName: /baseline/log, RetentionInDays: !Ref Days}
  Alerts:
    Type: AWS::SNS::Topic
    Condition: HasExtra
    Properties: {TopicName: alerts}
"""
